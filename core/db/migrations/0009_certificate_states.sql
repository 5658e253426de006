-- Certificates that were taken back or replaced, and every file that was given out of them.

-- `current_slot` is 1 for the certificate that stands for its student and course, in force or revoked, and NULL for those
-- it took the place of. `revoke_reason` is a number of the contract's RevokeReason.
ALTER TABLE certificates
  ADD COLUMN current_slot TINYINT NULL DEFAULT 1,
  ADD COLUMN revoke_reason TINYINT NOT NULL DEFAULT 0,
  ADD COLUMN revoke_note VARCHAR(500) NOT NULL DEFAULT '',
  ADD COLUMN replaced_by CHAR(30) CHARACTER SET ascii COLLATE ascii_bin NULL;

ALTER TABLE certificates ADD UNIQUE KEY certificates_current (student_id, course_id, current_slot);

ALTER TABLE certificates DROP KEY certificates_student_course;

-- The SHA-256 of every file of a certificate, and the thumbprint of the key that signed it. They outlive the file: what
-- was given out stays recognizable after an erasure.
CREATE TABLE certificate_digests (
  digest BINARY(32) NOT NULL PRIMARY KEY,
  certificate_id CHAR(30) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  key_id VARCHAR(43) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  create_time DATETIME(6) NOT NULL,
  KEY certificate_digests_certificate (certificate_id, create_time),
  CONSTRAINT certificate_digests_certificate_fk FOREIGN KEY (certificate_id) REFERENCES certificates (id)
) DEFAULT CHARSET = utf8mb4;

INSERT IGNORE INTO certificate_digests (digest, certificate_id, key_id, create_time)
SELECT UNHEX(SHA2(pdf, 256)), certificate_id, '', create_time FROM certificate_files;
