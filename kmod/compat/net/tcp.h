/* SPDX-License-Identifier: GPL-2.0 */
/* MSG_SPLICE_PAGES of 6.5 for older kernels. */
#ifndef KMQTT_COMPAT_NET_TCP_H
#define KMQTT_COMPAT_NET_TCP_H

#include_next <net/tcp.h>
#include <linux/bvec.h>
#include <linux/uio.h>
#include <linux/version.h>

/*
 * Send @len bytes at @off of @page, which TCP takes references to, without
 * waiting; @more follows at once.  The caller holds the socket's lock, and
 * keeps sk_allocation such that this may be done in its context.  Returns bytes
 * taken, or -errno.
 */
static inline int kmqtt_tcp_splice(struct sock *sk, struct page *page, u32 off, u32 len,
				   bool more)
{
	int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0);

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
	return tcp_sendpage_locked(sk, page, off, len,
				   flags | (more ? MSG_SENDPAGE_NOTLAST : 0));
#else
	struct msghdr msg = {
		.msg_flags = flags | MSG_SPLICE_PAGES,
	};
	struct bio_vec vec;

	bvec_set_page(&vec, page, len, off);
	iov_iter_bvec(&msg.msg_iter, ITER_SOURCE, &vec, 1, len);
	return tcp_sendmsg_locked(sk, &msg, len);
#endif
}

#endif /* KMQTT_COMPAT_NET_TCP_H */
