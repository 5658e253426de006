-- Accounts, courses, quizzes, payments, enrollments, progress, certificates, and what the platform itself needs.
-- Runs on MySQL 8 and MariaDB 10.6+. Ids are 16-byte UUIDv7, times UTC, money integer minor units.

CREATE TABLE users (
  id BINARY(16) NOT NULL PRIMARY KEY,
  clerk_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  email VARCHAR(320) NOT NULL,
  display_name VARCHAR(200) NOT NULL,
  image_url VARCHAR(2000) NOT NULL,
  role TINYINT NOT NULL,
  status TINYINT NOT NULL,
  profile_version BIGINT NOT NULL,
  create_time DATETIME(6) NOT NULL,
  update_time DATETIME(6) NOT NULL,
  UNIQUE KEY users_clerk_id (clerk_id),
  KEY users_email (email(100)),
  KEY users_role (role, status, id)
) DEFAULT CHARSET = utf8mb4;

-- Counts that must not be computed from rows that change at the same time: how many active admins there are.
CREATE TABLE counters (
  name VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  value INT NOT NULL
) DEFAULT CHARSET = utf8mb4;

INSERT INTO counters (name, value) VALUES ('active_admins', 0);

CREATE TABLE revoked_sessions (
  session_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  user_id BINARY(16) NOT NULL,
  revoke_time DATETIME(6) NOT NULL,
  KEY revoked_sessions_time (revoke_time)
) DEFAULT CHARSET = utf8mb4;

CREATE TABLE courses (
  id BINARY(16) NOT NULL PRIMARY KEY,
  instructor_id BINARY(16) NOT NULL,
  title VARCHAR(200) NOT NULL,
  description MEDIUMTEXT NOT NULL,
  price_minor INT NOT NULL,
  currency CHAR(3) CHARACTER SET ascii NOT NULL,
  level TINYINT NOT NULL,
  language VARCHAR(35) CHARACTER SET ascii NOT NULL,
  status TINYINT NOT NULL,
  version INT NOT NULL,
  lecture_count INT NOT NULL,
  enrollment_count INT NOT NULL,
  create_time DATETIME(6) NOT NULL,
  update_time DATETIME(6) NOT NULL,
  publish_time DATETIME(6) NULL,
  KEY courses_newest (status, publish_time, id),
  KEY courses_popular (status, enrollment_count, id),
  KEY courses_title (status, title, id),
  KEY courses_instructor (instructor_id, id),
  FULLTEXT KEY courses_text (title, description),
  CONSTRAINT courses_instructor_fk FOREIGN KEY (instructor_id) REFERENCES users (id)
) DEFAULT CHARSET = utf8mb4;

CREATE TABLE course_tags (
  course_id BINARY(16) NOT NULL,
  position TINYINT NOT NULL,
  tag VARCHAR(50) NOT NULL,
  PRIMARY KEY (course_id, tag),
  KEY course_tags_tag (tag, course_id),
  CONSTRAINT course_tags_course_fk FOREIGN KEY (course_id) REFERENCES courses (id)
) DEFAULT CHARSET = utf8mb4;

CREATE TABLE modules (
  id BINARY(16) NOT NULL PRIMARY KEY,
  course_id BINARY(16) NOT NULL,
  title VARCHAR(200) NOT NULL,
  position INT NOT NULL,
  create_time DATETIME(6) NOT NULL,
  KEY modules_course (course_id, position),
  CONSTRAINT modules_course_fk FOREIGN KEY (course_id) REFERENCES courses (id)
) DEFAULT CHARSET = utf8mb4;

CREATE TABLE lectures (
  id BINARY(16) NOT NULL PRIMARY KEY,
  course_id BINARY(16) NOT NULL,
  module_id BINARY(16) NOT NULL,
  title VARCHAR(200) NOT NULL,
  position INT NOT NULL,
  video_url VARCHAR(2000) NOT NULL,
  duration_seconds INT NOT NULL,
  notes MEDIUMTEXT NOT NULL,
  has_notes BOOLEAN NOT NULL,
  preview BOOLEAN NOT NULL,
  version INT NOT NULL,
  create_time DATETIME(6) NOT NULL,
  update_time DATETIME(6) NOT NULL,
  KEY lectures_course (course_id, position),
  KEY lectures_module (module_id, position),
  CONSTRAINT lectures_course_fk FOREIGN KEY (course_id) REFERENCES courses (id),
  CONSTRAINT lectures_module_fk FOREIGN KEY (module_id) REFERENCES modules (id)
) DEFAULT CHARSET = utf8mb4;

-- A quiz of a lecture, or (lecture_id NULL, exam_slot 1) the one final exam of a course.
CREATE TABLE quizzes (
  id BINARY(16) NOT NULL PRIMARY KEY,
  course_id BINARY(16) NOT NULL,
  lecture_id BINARY(16) NULL,
  exam_slot TINYINT NULL,
  title VARCHAR(200) NOT NULL,
  pass_percent TINYINT NOT NULL,
  time_limit_seconds INT NOT NULL,
  max_attempts INT NOT NULL,
  shuffle BOOLEAN NOT NULL,
  version INT NOT NULL,
  question_count INT NOT NULL,
  create_time DATETIME(6) NOT NULL,
  update_time DATETIME(6) NOT NULL,
  UNIQUE KEY quizzes_lecture (lecture_id),
  UNIQUE KEY quizzes_exam (course_id, exam_slot),
  CONSTRAINT quizzes_course_fk FOREIGN KEY (course_id) REFERENCES courses (id)
) DEFAULT CHARSET = utf8mb4;

-- The questions of each version of a quiz: attempts keep the version they started with.
-- `questions` is a serialized skillforge.v1.Quiz that carries questions only.
CREATE TABLE quiz_versions (
  quiz_id BINARY(16) NOT NULL,
  version INT NOT NULL,
  pass_percent TINYINT NOT NULL,
  questions LONGBLOB NOT NULL,
  PRIMARY KEY (quiz_id, version)
) DEFAULT CHARSET = utf8mb4;

-- `open_slot` is 1 while the attempt is open and NULL after: at most one open attempt a student and quiz.
-- `answers` and `results` are serialized skillforge.v1.Attempt messages that carry only that field.
CREATE TABLE attempts (
  id BINARY(16) NOT NULL PRIMARY KEY,
  quiz_id BINARY(16) NOT NULL,
  quiz_version INT NOT NULL,
  course_id BINARY(16) NOT NULL,
  student_id BINARY(16) NOT NULL,
  number INT NOT NULL,
  status TINYINT NOT NULL,
  open_slot TINYINT NULL,
  shuffle_seed BIGINT NOT NULL,
  answers LONGBLOB NOT NULL,
  results LONGBLOB NOT NULL,
  points_earned DOUBLE NOT NULL,
  points_possible INT NOT NULL,
  percent DOUBLE NOT NULL,
  passed BOOLEAN NOT NULL,
  start_time DATETIME(6) NOT NULL,
  deadline DATETIME(6) NULL,
  submit_time DATETIME(6) NULL,
  UNIQUE KEY attempts_number (student_id, quiz_id, number),
  UNIQUE KEY attempts_open (student_id, quiz_id, open_slot),
  KEY attempts_quiz (quiz_id, start_time, id),
  KEY attempts_overdue (status, deadline)
) DEFAULT CHARSET = utf8mb4;

-- `open_slot` is 1 while the payment may still be paid and NULL after: at most one open payment a student and course.
CREATE TABLE payments (
  id BINARY(16) NOT NULL PRIMARY KEY,
  student_id BINARY(16) NOT NULL,
  course_id BINARY(16) NOT NULL,
  amount_minor INT NOT NULL,
  currency CHAR(3) CHARACTER SET ascii NOT NULL,
  refunded_minor INT NOT NULL,
  status TINYINT NOT NULL,
  open_slot TINYINT NULL,
  provider VARCHAR(32) CHARACTER SET ascii NOT NULL,
  provider_reference VARCHAR(2000) CHARACTER SET ascii NOT NULL,
  checkout_url VARCHAR(4000) CHARACTER SET ascii NOT NULL,
  create_time DATETIME(6) NOT NULL,
  update_time DATETIME(6) NOT NULL,
  expire_time DATETIME(6) NOT NULL,
  UNIQUE KEY payments_open (student_id, course_id, open_slot),
  KEY payments_student (student_id, id),
  KEY payments_expiry (status, expire_time),
  CONSTRAINT payments_student_fk FOREIGN KEY (student_id) REFERENCES users (id),
  CONSTRAINT payments_course_fk FOREIGN KEY (course_id) REFERENCES courses (id)
) DEFAULT CHARSET = utf8mb4;

-- One row a provider's event: the unique id makes a repeat change nothing.
CREATE TABLE payment_events (
  provider VARCHAR(32) CHARACTER SET ascii NOT NULL,
  event_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  payment_id BINARY(16) NOT NULL,
  type VARCHAR(64) CHARACTER SET ascii NOT NULL,
  amount_minor INT NOT NULL,
  currency CHAR(3) CHARACTER SET ascii NOT NULL,
  event_time DATETIME(6) NOT NULL,
  receive_time DATETIME(6) NOT NULL,
  outcome VARCHAR(32) CHARACTER SET ascii NOT NULL,
  PRIMARY KEY (provider, event_id),
  KEY payment_events_payment (payment_id, receive_time)
) DEFAULT CHARSET = utf8mb4;

CREATE TABLE enrollments (
  student_id BINARY(16) NOT NULL,
  course_id BINARY(16) NOT NULL,
  status TINYINT NOT NULL,
  create_time DATETIME(6) NOT NULL,
  last_activity_time DATETIME(6) NULL,
  complete_time DATETIME(6) NULL,
  PRIMARY KEY (student_id, course_id),
  KEY enrollments_student (student_id, create_time, course_id),
  KEY enrollments_course (course_id, create_time, student_id),
  CONSTRAINT enrollments_student_fk FOREIGN KEY (student_id) REFERENCES users (id),
  CONSTRAINT enrollments_course_fk FOREIGN KEY (course_id) REFERENCES courses (id)
) DEFAULT CHARSET = utf8mb4;

-- Why a student has access: a payment, a free entry, an admin's grant. Access ends with the last active one.
CREATE TABLE entitlements (
  student_id BINARY(16) NOT NULL,
  course_id BINARY(16) NOT NULL,
  source_kind VARCHAR(16) CHARACTER SET ascii NOT NULL,
  source_id BINARY(16) NOT NULL,
  grant_time DATETIME(6) NOT NULL,
  end_time DATETIME(6) NULL,
  PRIMARY KEY (student_id, course_id, source_kind, source_id),
  CONSTRAINT entitlements_enrollment_fk FOREIGN KEY (student_id, course_id) REFERENCES enrollments (student_id, course_id)
) DEFAULT CHARSET = utf8mb4;

CREATE TABLE lecture_progress (
  student_id BINARY(16) NOT NULL,
  course_id BINARY(16) NOT NULL,
  lecture_id BINARY(16) NOT NULL,
  complete_time DATETIME(6) NULL,
  position_seconds INT NOT NULL,
  watched_seconds INT NOT NULL,
  update_time DATETIME(6) NOT NULL,
  PRIMARY KEY (student_id, course_id, lecture_id),
  CONSTRAINT lecture_progress_enrollment_fk FOREIGN KEY (student_id, course_id) REFERENCES enrollments (student_id, course_id)
) DEFAULT CHARSET = utf8mb4;

-- A student's standing in each quiz, kept by the submissions themselves.
CREATE TABLE quiz_results (
  student_id BINARY(16) NOT NULL,
  course_id BINARY(16) NOT NULL,
  quiz_id BINARY(16) NOT NULL,
  best_percent DOUBLE NOT NULL,
  passed BOOLEAN NOT NULL,
  attempts INT NOT NULL,
  update_time DATETIME(6) NOT NULL,
  PRIMARY KEY (student_id, course_id, quiz_id)
) DEFAULT CHARSET = utf8mb4;

CREATE TABLE certificates (
  id CHAR(30) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  student_id BINARY(16) NOT NULL,
  course_id BINARY(16) NOT NULL,
  instructor_id BINARY(16) NOT NULL,
  student_name VARCHAR(200) NOT NULL,
  course_title VARCHAR(200) NOT NULL,
  instructor_name VARCHAR(200) NOT NULL,
  score_percent DOUBLE NOT NULL,
  complete_time DATETIME(6) NOT NULL,
  status TINYINT NOT NULL,
  issue_time DATETIME(6) NOT NULL,
  revoke_time DATETIME(6) NULL,
  UNIQUE KEY certificates_student_course (student_id, course_id),
  KEY certificates_student (student_id, issue_time, id),
  CONSTRAINT certificates_enrollment_fk FOREIGN KEY (student_id, course_id) REFERENCES enrollments (student_id, course_id)
) DEFAULT CHARSET = utf8mb4;

-- The rendered PDF, made once.
CREATE TABLE certificate_files (
  certificate_id CHAR(30) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  pdf MEDIUMBLOB NOT NULL,
  create_time DATETIME(6) NOT NULL,
  CONSTRAINT certificate_files_certificate_fk FOREIGN KEY (certificate_id) REFERENCES certificates (id)
) DEFAULT CHARSET = utf8mb4;

-- Events committed with the change they tell of; a relay publishes and deletes them.
CREATE TABLE outbox (
  id BINARY(16) NOT NULL PRIMARY KEY,
  user_id BINARY(16) NOT NULL,
  topic VARCHAR(64) CHARACTER SET ascii NOT NULL,
  payload MEDIUMBLOB NOT NULL,
  create_time DATETIME(6) NOT NULL,
  claim_time DATETIME(6) NULL,
  KEY outbox_claim (claim_time, id),
  KEY outbox_user (user_id, id)
) DEFAULT CHARSET = utf8mb4;

CREATE TABLE audit_events (
  id BINARY(16) NOT NULL PRIMARY KEY,
  actor_id BINARY(16) NULL,
  action VARCHAR(64) CHARACTER SET ascii NOT NULL,
  target_type VARCHAR(32) CHARACTER SET ascii NOT NULL,
  target_id VARCHAR(64) CHARACTER SET ascii NOT NULL,
  before_state MEDIUMTEXT NOT NULL,
  after_state MEDIUMTEXT NOT NULL,
  request_id VARCHAR(128) CHARACTER SET ascii NOT NULL,
  create_time DATETIME(6) NOT NULL,
  KEY audit_events_actor (actor_id, id),
  KEY audit_events_target (target_type, target_id, id),
  KEY audit_events_action (action, id)
) DEFAULT CHARSET = utf8mb4;
