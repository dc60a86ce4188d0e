/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Doubly linked list, in the manner of the kernel's.
 */
#ifndef MQTTD_LIST_H
#define MQTTD_LIST_H

#include <stdbool.h>
#include <stddef.h>

#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l;
	l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_add_between(struct list *n, struct list *prev, struct list *next)
{
	n->next = next;
	n->prev = prev;
	prev->next = n;
	next->prev = n;
}

static inline void list_add(struct list *n, struct list *head)
{
	list_add_between(n, head, head->next);
}

static inline void list_add_tail(struct list *n, struct list *head)
{
	list_add_between(n, head->prev, head);
}

/* Leaves @n empty, so that a second call does no harm. */
static inline void list_del(struct list *n)
{
	n->next->prev = n->prev;
	n->prev->next = n->next;
	list_init(n);
}

#define list_entry(ptr, type, member)	container_of(ptr, type, member)
#define list_first(head, type, member)	list_entry((head)->next, type, member)

#define list_for_each(pos, head, member)					\
	for (pos = list_entry((head)->next, __typeof__(*pos), member);		\
	     &pos->member != (head);						\
	     pos = list_entry(pos->member.next, __typeof__(*pos), member))

#define list_for_each_safe(pos, tmp, head, member)				\
	for (pos = list_entry((head)->next, __typeof__(*pos), member),		\
	     tmp = list_entry(pos->member.next, __typeof__(*pos), member);	\
	     &pos->member != (head);						\
	     pos = tmp, tmp = list_entry(tmp->member.next, __typeof__(*tmp), member))

#endif /* MQTTD_LIST_H */
