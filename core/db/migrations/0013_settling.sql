-- What settling many payments a second has to write besides the rows themselves.

-- A student's enrollments stand together under the primary key, a course's in `enrollments_by_entry`; that the student is there,
-- the foreign key of the name says too. One to the course would lock the course's row for everybody else who grants access to it,
-- and courses are never deleted.
ALTER TABLE enrollments
  DROP FOREIGN KEY enrollments_student_fk,
  DROP FOREIGN KEY enrollments_course_fk;

ALTER TABLE enrollments
  DROP KEY enrollments_student,
  DROP KEY enrollments_course;

-- Events are looked for by their provider's id alone.
ALTER TABLE payment_events DROP KEY payment_events_payment;

-- Claims go through the earliest rows in the order of their ids.
ALTER TABLE outbox DROP KEY outbox_claim;
