-- formerly 9a7eed2e372dbe4f78d8c1a4dfc3cf9ccbbe64690ea54bbceaa48f65b4320f44: MySQL 9.6 and newer have no MD5().
-- Coupons, the ledger of all money that came in and went back, and refunds on their way to the provider.

-- `percent` 0: a fixed amount off. Without a course: every course of the instructor; without an instructor: every course.
-- A limit of 0 is none. `uses` are those of payments that are open or were paid; a disabled coupon stays, for payments
-- name it.
CREATE TABLE coupons (
  id BINARY(16) NOT NULL PRIMARY KEY,
  code VARCHAR(50) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  instructor_id BINARY(16) NULL,
  course_id BINARY(16) NULL,
  percent TINYINT NOT NULL,
  amount_off_minor INT NOT NULL,
  currency CHAR(3) CHARACTER SET ascii NOT NULL,
  max_uses INT NOT NULL,
  max_uses_per_student INT NOT NULL,
  uses INT NOT NULL,
  start_time DATETIME(6) NULL,
  expire_time DATETIME(6) NULL,
  disable_time DATETIME(6) NULL,
  create_time DATETIME(6) NOT NULL,
  UNIQUE KEY coupons_code (code),
  KEY coupons_instructor (instructor_id, id),
  KEY coupons_course (course_id, id),
  CONSTRAINT coupons_instructor_fk FOREIGN KEY (instructor_id) REFERENCES users (id),
  CONSTRAINT coupons_course_fk FOREIGN KEY (course_id) REFERENCES courses (id),
  CONSTRAINT coupons_uses_ck CHECK (uses >= 0)
) DEFAULT CHARSET = utf8mb4;

-- How often each student uses a coupon.
CREATE TABLE coupon_students (
  coupon_id BINARY(16) NOT NULL,
  student_id BINARY(16) NOT NULL,
  uses INT NOT NULL,
  PRIMARY KEY (coupon_id, student_id),
  KEY coupon_students_student (student_id, coupon_id),
  CONSTRAINT coupon_students_coupon_fk FOREIGN KEY (coupon_id) REFERENCES coupons (id),
  CONSTRAINT coupon_students_student_fk FOREIGN KEY (student_id) REFERENCES users (id),
  CONSTRAINT coupon_students_uses_ck CHECK (uses >= 0)
) DEFAULT CHARSET = utf8mb4;

-- `amount_minor` is what is paid: the list price less the discount. `reserved_minor`: refunds that were ordered and not
-- settled yet. `found_minor`: refunds known from asking the provider, whose events have not come yet.
ALTER TABLE payments
  ADD COLUMN list_price_minor INT NOT NULL DEFAULT 0,
  ADD COLUMN coupon_id BINARY(16) NULL,
  ADD COLUMN coupon_code VARCHAR(50) CHARACTER SET ascii NOT NULL DEFAULT '',
  ADD COLUMN reserved_minor INT NOT NULL DEFAULT 0,
  ADD COLUMN found_minor INT NOT NULL DEFAULT 0,
  ADD COLUMN pay_time DATETIME(6) NULL,
  ADD KEY payments_coupon (coupon_id, id);

UPDATE payments SET list_price_minor = amount_minor;

UPDATE payments p JOIN ledger l ON l.payment_id = p.id AND l.paid_minor > 0 SET p.pay_time = l.entry_time;

ALTER TABLE payments
  ADD CONSTRAINT payments_coupon_fk FOREIGN KEY (coupon_id) REFERENCES coupons (id),
  ADD CONSTRAINT payments_money_ck CHECK (
    refunded_minor BETWEEN 0 AND amount_minor AND reserved_minor BETWEEN 0 AND amount_minor
    AND found_minor BETWEEN 0 AND refunded_minor
  );

-- Rows are added and never changed. `kind`: 1 a charge (its refund_id is zeros), 2 a refund that was ordered, 3 a refund
-- that was made, 4 one that was not; each happens once to a payment and a refund.
CREATE TABLE payment_ledger (
  payment_id BINARY(16) NOT NULL,
  refund_id BINARY(16) NOT NULL,
  kind TINYINT NOT NULL,
  course_id BINARY(16) NOT NULL,
  amount_minor INT NOT NULL,
  currency CHAR(3) CHARACTER SET ascii NOT NULL,
  entry_time DATETIME(6) NOT NULL,
  PRIMARY KEY (payment_id, refund_id, kind),
  KEY payment_ledger_course (course_id, kind, entry_time)
) DEFAULT CHARSET = utf8mb4;

INSERT INTO payment_ledger (payment_id, refund_id, kind, course_id, amount_minor, currency, entry_time)
SELECT payment_id, REPEAT(CHAR(0), 16), 1, course_id, paid_minor, currency, entry_time FROM ledger WHERE paid_minor > 0;

INSERT INTO payment_ledger (payment_id, refund_id, kind, course_id, amount_minor, currency, entry_time)
SELECT payment_id, UNHEX(LEFT(SHA2(CONCAT(HEX(payment_id), '-', refunded_total), 256), 32)), 3, course_id, refunded_minor, currency, entry_time
FROM ledger WHERE refunded_minor > 0;

DROP TABLE ledger;

-- What was ordered at the provider: why, and what it answered. `try_time`: when to ask it (again); NULL: never more.
CREATE TABLE refund_orders (
  refund_id BINARY(16) NOT NULL PRIMARY KEY,
  payment_id BINARY(16) NOT NULL,
  amount_minor INT NOT NULL,
  reason VARCHAR(500) NOT NULL,
  failure VARCHAR(500) NOT NULL,
  tries INT NOT NULL,
  try_time DATETIME(6) NULL,
  create_time DATETIME(6) NOT NULL,
  KEY refund_orders_payment (payment_id, refund_id),
  KEY refund_orders_try (try_time),
  CONSTRAINT refund_orders_payment_fk FOREIGN KEY (payment_id) REFERENCES payments (id)
) DEFAULT CHARSET = utf8mb4;
