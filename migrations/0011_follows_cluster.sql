-- Whether the owner of the deploy worker's lease hears from the cluster: one that is refused, or not answered, keeps the
-- lease and is still at work, so the lease alone does not tell.
ALTER TABLE subscriptions ADD COLUMN follows_cluster boolean NOT NULL DEFAULT false;
