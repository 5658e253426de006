-- What certificates look like. A version is written once and never changed: a certificate keeps the one it was issued with
-- (NULL: the platform's own look). `end_time` is when another took its place; versions that no certificate keeps are
-- dropped a while later.

CREATE TABLE certificate_template_versions (
  id BINARY(16) NOT NULL PRIMARY KEY,
  course_id BINARY(16) NOT NULL,
  accent_color CHAR(7) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  logo MEDIUMBLOB NOT NULL,
  signature_name VARCHAR(200) NOT NULL,
  signature_title VARCHAR(200) NOT NULL,
  subtitle VARCHAR(200) NOT NULL,
  create_time DATETIME(6) NOT NULL,
  end_time DATETIME(6) NULL,
  KEY certificate_template_versions_course (course_id, end_time),
  CONSTRAINT certificate_template_versions_course_fk FOREIGN KEY (course_id) REFERENCES courses (id)
) DEFAULT CHARSET = utf8mb4;

-- The look of the certificates that are issued next. `version` counts changes; the row stays when the look is given up
-- (`template_id` NULL), so that a count never comes again.
CREATE TABLE certificate_templates (
  course_id BINARY(16) NOT NULL PRIMARY KEY,
  template_id BINARY(16) NULL,
  version INT NOT NULL,
  update_time DATETIME(6) NOT NULL,
  CONSTRAINT certificate_templates_course_fk FOREIGN KEY (course_id) REFERENCES courses (id),
  CONSTRAINT certificate_templates_template_fk FOREIGN KEY (template_id) REFERENCES certificate_template_versions (id)
) DEFAULT CHARSET = utf8mb4;

ALTER TABLE certificates
  ADD COLUMN template_id BINARY(16) NULL,
  ADD CONSTRAINT certificates_template_fk FOREIGN KEY (template_id) REFERENCES certificate_template_versions (id);
