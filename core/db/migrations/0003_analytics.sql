-- What gradebooks and analytics show, kept by the writes themselves, so that no reader counts a course's students.

-- A student's name stands in the enrollment, where a course's students can be ordered by it; the key below changes it
-- there with the account. An activity of 1970 means none yet. `score`, the average of all results, is -1 without any.
-- `activity_day`, days since 1970, is the day of the last activity as far as it is counted.
ALTER TABLE users ADD UNIQUE KEY users_name (id, display_name);

UPDATE enrollments SET last_activity_time = '1970-01-01 00:00:00' WHERE last_activity_time IS NULL;

ALTER TABLE enrollments
  MODIFY last_activity_time DATETIME(6) NOT NULL DEFAULT '1970-01-01 00:00:00',
  ADD COLUMN student_name VARCHAR(200) NULL,
  ADD COLUMN lectures_completed INT NOT NULL DEFAULT 0,
  ADD COLUMN quiz_percent DOUBLE NULL,
  ADD COLUMN exam_percent DOUBLE NULL,
  ADD COLUMN exam_passed BOOLEAN NOT NULL DEFAULT FALSE,
  ADD COLUMN score DOUBLE NOT NULL DEFAULT -1,
  ADD COLUMN activity_day INT NOT NULL DEFAULT 0;

UPDATE enrollments e JOIN users u ON u.id = e.student_id SET e.student_name = u.display_name;

ALTER TABLE enrollments
  MODIFY student_name VARCHAR(200) NOT NULL,
  ADD KEY enrollments_by_name (course_id, status, student_name, student_id),
  ADD KEY enrollments_by_progress (course_id, status, lectures_completed, student_id),
  ADD KEY enrollments_by_score (course_id, status, score, student_id),
  ADD KEY enrollments_by_activity (course_id, status, last_activity_time, student_id),
  ADD KEY enrollments_by_entry (course_id, status, create_time, student_id),
  ADD CONSTRAINT enrollments_name_fk FOREIGN KEY (student_id, student_name) REFERENCES users (id, display_name)
    ON UPDATE CASCADE;

-- Numbers by course (zeros: the whole platform). `kind`: core/analytics/rules.py; `item`: what is counted, such as a
-- lecture or a day. The number is the sum of the slots, which spread simultaneous writes over several rows.
CREATE TABLE course_counts (
  course_id BINARY(16) NOT NULL,
  kind TINYINT NOT NULL,
  item VARBINARY(64) NOT NULL,
  slot TINYINT NOT NULL,
  value BIGINT NOT NULL,
  PRIMARY KEY (course_id, kind, item, slot)
) DEFAULT CHARSET = utf8mb4;

-- Who did something in a course on a day (days since 1970). Rows are dropped when no report shows their day any more.
CREATE TABLE activity_days (
  day INT NOT NULL,
  course_id BINARY(16) NOT NULL,
  student_id BINARY(16) NOT NULL,
  PRIMARY KEY (day, course_id, student_id)
) DEFAULT CHARSET = utf8mb4;

-- Money that came in and went back, one row a change; `refunded_total` tells a payment's changes apart.
CREATE TABLE ledger (
  payment_id BINARY(16) NOT NULL,
  refunded_total INT NOT NULL,
  course_id BINARY(16) NOT NULL,
  currency CHAR(3) CHARACTER SET ascii NOT NULL,
  paid_minor INT NOT NULL,
  refunded_minor INT NOT NULL,
  entry_time DATETIME(6) NOT NULL,
  PRIMARY KEY (payment_id, refunded_total),
  KEY ledger_course (course_id, entry_time)
) DEFAULT CHARSET = utf8mb4;

INSERT INTO ledger (payment_id, refunded_total, course_id, currency, paid_minor, refunded_minor, entry_time)
SELECT id, refunded_minor, course_id, currency, amount_minor, refunded_minor, update_time
FROM payments WHERE status IN (2, 4, 5);

-- Courses whose students' numbers are computed anew, since lectures or quizzes were deleted; those up to here are done.
CREATE TABLE course_recounts (
  course_id BINARY(16) NOT NULL PRIMARY KEY,
  done_time DATETIME(6) NOT NULL,
  done_student_id BINARY(16) NOT NULL
) DEFAULT CHARSET = utf8mb4;

-- What students have watched of a lecture: sorted stretches of seconds, each two 32-bit numbers.
ALTER TABLE lecture_progress ADD COLUMN watched VARBINARY(512) NULL;

ALTER TABLE attempts ADD KEY attempts_course (course_id, id);
