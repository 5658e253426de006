// A course from its writing to a student's certificate, with types that openapi-typescript made of /openapi.json.
//
//     node out/journey.js URL INSTRUCTOR_TOKEN STUDENT_TOKEN

import { strict as assert } from "node:assert";
import { randomUUID } from "node:crypto";
import process from "node:process";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Course = components["schemas"]["Course"];
type Client = ReturnType<typeof createClient<paths>>;
interface Answer<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

const TITLE = "Made with a generated client, in TypeScript";

function client(baseUrl: string, token: string): Client {
  return createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });
}

// What came back; ends the journey with what went wrong.
async function done<Data>(answer: Promise<Answer<Data>>): Promise<Data> {
  const { data, error, response } = await answer;
  if (data === undefined) throw new Error(`${response.status}: ${JSON.stringify(error)}`);
  return data;
}

// A free course of one lecture and an exam, published.
async function writeCourse(teacher: Client): Promise<Course> {
  const body = { title: TITLE, description: "Sixes and sevens.", tags: ["numbers"], language: "en" };
  const header = { "Idempotency-Key": randomUUID() };
  const draft = await done(teacher.POST("/courses", { body, params: { header } }));
  const path = { courseId: draft.id };
  const module = await done(teacher.POST("/courses/{courseId}/modules", { params: { path }, body: { title: "One" } }));
  await done(
    teacher.POST("/modules/{moduleId}/lectures", {
      params: { path: { moduleId: module.id } },
      body: {
        title: "Six times seven",
        video: { url: "https://videos.example.com/1.mp4", durationSeconds: 60 },
        notes: "# It is 42.",
      },
    }),
  );
  const exam: components["schemas"]["PutExamRequest"] = {
    title: "Exam",
    passPercent: 50,
    questions: [{ id: "q1", prompt: "What is it?", kind: "QUESTION_KIND_NUMERIC", answerKey: { number: 42 } }],
  };
  await done(teacher.PUT("/courses/{courseId}/exam", { params: { path }, body: exam }));
  const course = await done(teacher.POST("/courses/{courseId}/publish", { params: { path } }));
  assert.equal(course.status, "COURSE_STATUS_PUBLISHED");
  return course;
}

// Enroll, complete the lecture, pass the exam.
async function learn(student: Client, course: Course): Promise<void> {
  const { courses } = await done(student.GET("/courses", { params: { query: { query: TITLE, pageSize: 100 } } }));
  assert(courses.some(({ id }) => id === course.id));
  await done(student.POST("/courses/{courseId}/enroll", { params: { path: { courseId: course.id } }, body: {} }));
  const lectureId = course.modules[0]?.lectures[0]?.id ?? "";
  const lecture = await done(student.GET("/lectures/{lectureId}", { params: { path: { lectureId } } }));
  assert.equal(lecture.notes, "# It is 42.");
  const marked = await done(student.POST("/progress/lecture", { body: { lectureId, completed: true } }));
  assert.equal(marked.course?.percent, 100);
  const path = { quizId: course.examId };
  const attempt = await done(student.POST("/quizzes/{quizId}/attempts", { params: { path } }));
  const graded = await done(
    student.POST("/attempts/{attemptId}/submit", {
      params: { path: { attemptId: attempt.id } },
      body: { answers: [{ questionId: "q1", number: 42 }] },
    }),
  );
  assert(graded.passed);
}

// The certificate's number, when its PDF is what was issued.
async function prove(student: Client, course: Course): Promise<string> {
  const { certificates } = await done(student.GET("/certificates"));
  const certificate = certificates.find(({ courseId }) => courseId === course.id);
  assert(certificate);
  const path = { certificateId: certificate.id };
  const pdf = await done(student.GET("/certificates/{certificateId}/download", { params: { path }, parseAs: "blob" }));
  const verdict = await done(
    student.POST("/certificates/verify", {
      body: pdf as unknown as string,
      headers: { "Content-Type": "application/pdf" },
      bodySerializer: (body) => body,
    }),
  );
  assert.equal(verdict.result, "FILE_RESULT_UNCHANGED");
  return certificate.id;
}

const [url = "", ...tokens] = process.argv.slice(2);
const [teacher, student] = tokens.map((token) => client(url, token));
assert(teacher && student);
for (const person of [teacher, student]) await done(person.POST("/auth/sync-user", { body: {} }));
const course = await writeCourse(teacher);
const refused = await student.POST("/courses/{courseId}/publish", { params: { path: { courseId: course.id } } });
assert.equal(refused.error?.reason, "ROLE_NOT_ALLOWED");
await learn(student, course);
console.log(await prove(student, course));
