-- The peer's data in our schema: 2,000 users, 200 courses of 4 modules x 5 lectures, 5 enrollments a student.
-- The same ids (md5 of readable names), so that one list of cases serves both. MariaDB's sequence engine is used.
INSERT INTO users SELECT unhex(md5(concat('u',seq))), concat('user_',seq), concat('user',seq,'@example.com'), concat('User ',seq), '', if(seq<=10,2,3), 1, 1, now(6), now(6) FROM seq_1_to_2000;
INSERT INTO courses SELECT unhex(md5(concat('c',seq))), unhex(md5(concat('u',1+seq%10))), concat('Course ',seq), repeat('lorem ipsum dolor ',20), 4900, 'USD', 1, 'en', 2, 1, 20, 0, now(6), now(6), now(6) - interval seq minute FROM seq_1_to_200;
INSERT INTO modules SELECT unhex(md5(concat('m',c.seq,'-',m.seq))), unhex(md5(concat('c',c.seq))), concat('Module ',m.seq), m.seq, now(6) FROM seq_1_to_200 c JOIN seq_1_to_4 m;
INSERT INTO lectures SELECT unhex(md5(concat('l',c.seq,'-',m.seq,'-',l.seq))), unhex(md5(concat('c',c.seq))), unhex(md5(concat('m',c.seq,'-',m.seq))), concat('Lecture ',l.seq), l.seq, 'https://video.example/v.mp4', 300, '', 0, 0, 1, now(6), now(6) FROM seq_1_to_200 c JOIN seq_1_to_4 m JOIN seq_1_to_5 l;
INSERT INTO enrollments (student_id, course_id, status, create_time, student_name) SELECT unhex(md5(concat('u',u.seq))), unhex(md5(concat('c',1+(u.seq*7+k.seq*31)%200))), 1, now(6), concat('User ',u.seq) FROM seq_11_to_2000 u JOIN seq_1_to_5 k;
INSERT INTO entitlements (student_id, course_id, source_kind, source_id, grant_time) SELECT student_id, course_id, 'admin', student_id, create_time FROM enrollments;
UPDATE courses SET enrollment_count = (SELECT count(*) FROM enrollments e WHERE e.course_id = courses.id);
