// SPDX-License-Identifier: GPL-2.0
/* Messages with memory of their own. */

#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/vmalloc.h>
#include "frame.h"
#include "msg.h"
#include "netns.h"

void kmqtt_pages_free(struct kmqtt_net *kn, struct kmqtt_pages *p)
{
	u32 i, n;

	might_sleep();
	if (p->map && p->n > 1)
		vunmap(p->map);
	/* A socket may still have what it was given of them. */
	for (i = 0; i < p->n; i += n) {
		n = compound_nr(p->pages[i]);
		put_page(p->pages[i]);
	}
	kvfree(p->pages);
	kmqtt_mem_uncharge(kn, p->charged);
	*p = (struct kmqtt_pages) {};
}

struct kmqtt_msg *kmqtt_msg_new(struct kmqtt_net *kn,
				const struct kmqtt_msg_src *src, gfp_t gfp)
{
	u32 props_len = kmqtt_props_travel_copy(NULL, src->props, src->props_len);
	size_t size = sizeof(struct kmqtt_msg) + src->topic_len + props_len;
	struct kmqtt_msg *msg;
	u8 *p;

	if (!src->pages)
		size += src->payload_len;
	if (!kmqtt_mem_charge(kn, size))
		return NULL;
	if (gfpflags_allow_blocking(gfp))
		msg = kvmalloc(size, gfp | __GFP_ACCOUNT | __GFP_NOWARN);
	else
		msg = kmalloc(size, gfp | __GFP_ACCOUNT | __GFP_NOWARN);
	if (!msg) {
		kmqtt_mem_uncharge(kn, size);
		return NULL;
	}
	*msg = (struct kmqtt_msg) {
		.kn = kn,
		.charged = size,
		.has_expiry = src->has_expiry,
		.retain = src->retain,
		.topic_len = src->topic_len,
		.props_len = props_len,
		.payload_len = src->payload_len,
		.payload = src->payload,
	};
	refcount_set(&msg->ref, 1);
	if (src->has_expiry)
		msg->expires = ktime_get_boottime_ns() + src->expiry;
	p = msg->data;
	msg->topic = memcpy(p, src->topic, src->topic_len);
	p += src->topic_len;
	kmqtt_props_travel_copy(p, src->props, src->props_len);
	msg->props = p;
	p += props_len;
	if (src->pages) {
		msg->pages = *src->pages;
		*src->pages = (struct kmqtt_pages) {};
	} else {
		msg->payload = memcpy(p, src->payload, src->payload_len);
	}
	return msg;
}

void kmqtt_msg_put(struct kmqtt_msg *msg)
{
	if (!msg || !refcount_dec_and_test(&msg->ref))
		return;
	if (msg->pages.pages)
		kmqtt_pages_free(msg->kn, &msg->pages);
	kmqtt_mem_uncharge(msg->kn, msg->charged);
	kvfree(msg);
}

bool kmqtt_msg_left(const struct kmqtt_msg *msg, u32 *left)
{
	u64 now = ktime_get_boottime_ns();

	if (now >= msg->expires)
		return false;
	*left = div_u64(msg->expires - now + NSEC_PER_SEC - 1, NSEC_PER_SEC);
	return true;
}
