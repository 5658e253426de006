-- What a course is found by. `content` (title, tags, description) and `instructor` (the instructor's name) hold search
-- terms as core/courses/search.py spells them, never text, so that every server's full-text parser keeps them whole.
-- `format` numbers that spelling. A course without a row of the present format is filled in by the background.

CREATE TABLE course_search (
  course_id BINARY(16) NOT NULL PRIMARY KEY,
  format SMALLINT NOT NULL,
  content MEDIUMTEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  instructor TEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  KEY course_search_format (format, course_id),
  FULLTEXT KEY course_search_terms (content, instructor),
  CONSTRAINT course_search_course_fk FOREIGN KEY (course_id) REFERENCES courses (id)
) DEFAULT CHARSET = utf8mb4;

ALTER TABLE courses DROP KEY courses_text;
