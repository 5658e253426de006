-- What an interruption must not leave half done: erasures at Clerk, repeated creations, numbers older than their counts;
-- and a bound for the search of accounts.

-- The user at Clerk is deleted behind the commit that closes the account, and tried again until it worked. Both columns
-- are NULL from then on.
ALTER TABLE erasures
  ADD COLUMN clerk_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  ADD COLUMN clerk_try_time DATETIME(6) NULL,
  ADD KEY erasures_at_clerk (clerk_try_time);

-- What calls with an `Idempotency-Key` created, written with it: `key_digest` is of caller, method and key.
CREATE TABLE creations (
  key_digest BINARY(32) NOT NULL PRIMARY KEY,
  request_digest BINARY(32) NOT NULL,
  resource_id BINARY(16) NOT NULL,
  create_time DATETIME(6) NOT NULL,
  KEY creations_time (create_time)
) DEFAULT CHARSET = utf8mb4;

-- Courses (zeros: the whole platform) whose numbers a process computes anew in the background: those with enrollments
-- that no count knows of, as they were there before there were counts.
CREATE TABLE course_rebuilds (
  course_id BINARY(16) NOT NULL PRIMARY KEY
) DEFAULT CHARSET = utf8mb4;

INSERT INTO course_rebuilds (course_id)
SELECT e.course_id FROM (SELECT course_id, COUNT(*) AS students FROM enrollments GROUP BY course_id) e
LEFT JOIN (SELECT course_id, SUM(value) AS counted FROM course_counts WHERE kind IN (1, 2) GROUP BY course_id) k
  ON k.course_id = e.course_id
WHERE e.students <> COALESCE(k.counted, 0);

INSERT INTO course_rebuilds (course_id)
SELECT UNHEX('00000000000000000000000000000000') FROM counters WHERE name = 'active_admins' AND EXISTS (SELECT 1 FROM users);

-- Role and status stand in the indexes of beginnings, so that no account is read to find out that it is not wanted.
ALTER TABLE users
  ADD KEY users_email_standing (email, role, status),
  ADD KEY users_name_standing (display_name, role, status),
  DROP KEY users_whole_email,
  DROP KEY users_display_name;
