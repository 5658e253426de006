-- The audit log by time, users by name and status, and the erasures of accounts.

-- Every filter ends in the order of the list, so that a page is a range of one index.
ALTER TABLE audit_events
  ADD KEY audit_events_time (create_time, id),
  ADD KEY audit_events_actor_time (actor_id, create_time, id),
  ADD KEY audit_events_action_time (action, create_time, id),
  ADD KEY audit_events_type_time (target_type, create_time, id),
  ADD KEY audit_events_target_time (target_type, target_id, create_time, id);

ALTER TABLE audit_events
  DROP KEY audit_events_actor,
  DROP KEY audit_events_target,
  DROP KEY audit_events_action;

ALTER TABLE users
  ADD KEY users_display_name (display_name),
  ADD KEY users_whole_email (email),
  ADD KEY users_status (status, id),
  ADD KEY users_by_role (role, id),
  DROP KEY users_email;

ALTER TABLE revoked_sessions ADD KEY revoked_sessions_user (user_id, session_id);

-- One row an erased account. Its content is erased in batches, and once more when no call that began before can write
-- any: then `finish_time` is set. `clerk_digest`, SHA-256 of the id at Clerk, keeps late news of that user out.
CREATE TABLE erasures (
  user_id BINARY(16) NOT NULL PRIMARY KEY,
  clerk_digest BINARY(32) NOT NULL,
  start_time DATETIME(6) NOT NULL,
  finish_time DATETIME(6) NULL,
  KEY erasures_clerk (clerk_digest),
  KEY erasures_open (finish_time, start_time),
  CONSTRAINT erasures_user_fk FOREIGN KEY (user_id) REFERENCES users (id)
) DEFAULT CHARSET = utf8mb4;
