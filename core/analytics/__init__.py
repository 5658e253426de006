"""Analytics: the numbers of courses and the platform, kept by the writes themselves.

**What is kept where.** A student's own numbers (lectures completed, results, last activity) stand in the enrollment,
which every write of progress locks anyway, under one index for each order of the gradebook. Everything about a course
as a whole is a row of `course_counts`: course, kind, item (a lecture, a question, a day), value. A transaction gathers
its changes in a `Tally` and writes them, last of all, in one statement.

**Contention.** A course's counts are hot: all its students move the same few. Each is a sum of `SLOTS` rows, and a
transaction writes to one slot, drawn by lot. Marks of lectures come in batches, one at a time a process, so that what
could meet in a row is not the students but the processes, and those meet in one of `SLOTS` cases and only until the
commit that follows. A transaction writes its counts once, sorted: two statements in one could wait for each other. The
platform's own numbers are counted beside the course's, in the same statement.

**Edits.** Percentages are computed from a student's count and the course's present number of lectures, so that adding
lectures writes nothing. Deleting lectures or quizzes asks for a recount of the course (`course_recounts`), which the
background does in batches; readers meanwhile compute from the truth.

**Truth.** `rebuild.py` computes everything again and corrects what differs; nothing should.
"""
