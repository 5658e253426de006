-- Parents linked to students, and the codes by which students consent.

-- A slot of each side is taken by one link: a child has as many parents, a parent as many children, as there are slots.
CREATE TABLE family_links (
  parent_id BINARY(16) NOT NULL,
  child_id BINARY(16) NOT NULL,
  child_slot TINYINT NOT NULL,
  parent_slot TINYINT NOT NULL,
  create_time DATETIME(6) NOT NULL,
  PRIMARY KEY (parent_id, child_id),
  UNIQUE KEY family_links_child_slot (parent_id, child_slot),
  UNIQUE KEY family_links_parent_slot (child_id, parent_slot),
  CONSTRAINT family_links_parent_fk FOREIGN KEY (parent_id) REFERENCES users (id),
  CONSTRAINT family_links_child_fk FOREIGN KEY (child_id) REFERENCES users (id)
) DEFAULT CHARSET = utf8mb4;

-- At most one code a student; a used one's row is gone. `code_hash`: HMAC-SHA256 of the code.
CREATE TABLE link_codes (
  child_id BINARY(16) NOT NULL PRIMARY KEY,
  code_hash BINARY(32) NOT NULL,
  expire_time DATETIME(6) NOT NULL,
  UNIQUE KEY link_codes_hash (code_hash),
  CONSTRAINT link_codes_child_fk FOREIGN KEY (child_id) REFERENCES users (id)
) DEFAULT CHARSET = utf8mb4;

-- All of a student's attempts, newest first.
ALTER TABLE attempts ADD KEY attempts_student (student_id, start_time, id);
