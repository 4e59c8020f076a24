//! An SMP server: queues, link data, delivery and subscriptions.
