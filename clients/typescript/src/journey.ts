/**
 * The main journey with a client that is made from the API's document: a learner signs
 * up, buys credits on the gateway's page, enrolls and takes the statement; the coach
 * withdraws what they earned. Prints what it saw as one line of JSON.
 *
 * SITE is the site's address; COACH_EMAIL and COACH_PASSWORD are a coach's.
 */
import createClient, { type Client } from "openapi-fetch";

import type { paths as AllauthPaths } from "../generated/allauth.js";
import type { components, paths as ApiPaths } from "../generated/api.js";

type Problem = { type: string; title: string; status: number; request_id: string };
type Course = components["schemas"]["CourseOutput"];
type Api = Client<ApiPaths>;

const site = required("SITE");
const allauth = createClient<AllauthPaths>({ baseUrl: site });

function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

/** What was answered; a refusal ends the journey and says which. */
function answered<T>(answer: { data?: T; error?: unknown }, what: string): T {
  if (answer.data === undefined) {
    throw new Error(`${what}: ${JSON.stringify(answer.error)}`);
  }
  return answer.data;
}

async function until<T>(look: () => Promise<T | undefined>, what: string): Promise<T> {
  const deadline = Date.now() + 120_000;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (Date.now() > deadline) throw new Error(`${what}: not after two minutes`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** A client of the API that bears the access token. */
function apiOf(token: string): Api {
  return createClient<ApiPaths>({
    baseUrl: site,
    headers: { Authorization: `Bearer ${token}` },
  });
}

async function signedUp(email: string, password: string): Promise<Api> {
  const answer = await allauth.POST("/_allauth/{client}/v1/auth/signup", {
    params: { path: { client: "app" } },
    body: { email, password },
  });
  return apiOf(tokenOf(answered(answer, "sign up")));
}

async function signedIn(email: string, password: string): Promise<Api> {
  const answer = await allauth.POST("/_allauth/{client}/v1/auth/login", {
    params: { path: { client: "app" } },
    body: { email, password },
  });
  return apiOf(tokenOf(answered(answer, "sign in")));
}

function tokenOf(answer: { meta: { access_token?: string } }): string {
  const token = answer.meta.access_token;
  if (!token) throw new Error("no access token was given");
  return token;
}

async function balanceOf(api: Api): Promise<string> {
  return answered(await api.GET("/api/v1/wallet"), "wallet").balance;
}

async function publish(coach: Api): Promise<Course> {
  const answer = await coach.POST("/api/v1/courses", {
    body: { title: "Books in order", price: "40.00", status: "published" },
  });
  return answered(answer, "add a course");
}

/** Order the first package and pay as a browser would; return the credits bought. */
async function buy(learner: Api): Promise<string> {
  const packages = answered(
    await learner.GET("/api/v1/credit-packages", { params: { query: { limit: 1 } } }),
    "packages",
  );
  const offered = packages.results[0];
  if (!offered) throw new Error("nothing is on sale");
  const purchase = answered(
    await learner.POST("/api/v1/purchases", {
      params: { header: { "Idempotency-Key": "order-1" } },
      body: { package: offered.id },
    }),
    "order",
  );
  if (!purchase.checkout_url) throw new Error("there is no page to pay on");
  const form = { method: "mobile_money", operator: "airtel", phone: "0990000000" };
  const page = await fetch(purchase.checkout_url, {
    method: "POST",
    body: new URLSearchParams({ ...form, action: "pay" }),
    redirect: "manual",
  });
  if (page.status !== 302) throw new Error(`the gateway's page said ${page.status}`);
  const path = { purchase_id: purchase.id };
  const paid = await until(async () => {
    const now = await learner.GET("/api/v1/purchases/{purchase_id}", { params: { path } });
    const seen = answered(now, "purchase");
    return seen.status === "paid" ? seen : undefined;
  }, "pay");
  return paid.credits;
}

async function enroll(learner: Api, course: Course): Promise<string | null> {
  const params = { path: { course_id: course.id } };
  const quote = answered(
    await learner.GET("/api/v1/courses/{course_id}/quote", { params }),
    "quote",
  );
  const enrollment = answered(
    await learner.POST("/api/v1/courses/{course_id}/enroll", {
      params: { ...params, header: { "Idempotency-Key": "enroll-1" } },
      body: { price: quote.price },
    }),
    "enroll",
  );
  return enrollment.balance_after;
}

/** Enroll again; return the kind of the refusal, which the document tells apart. */
async function refusalOfASecondTime(learner: Api, course: Course): Promise<string> {
  const answer = await learner.POST("/api/v1/courses/{course_id}/enroll", {
    params: { path: { course_id: course.id } },
    body: {},
  });
  if (!answer.error) throw new Error("a second enrollment was taken");
  const problem: Problem = answer.error;
  return problem.type;
}

async function statement(learner: Api): Promise<string[]> {
  const answer = await learner.GET("/api/v1/wallet/statement", {
    params: { query: { format: "csv" } },
    parseAs: "text",
  });
  return answered(answer, "statement").trim().split("\n");
}

async function withdraw(coach: Api): Promise<{ net: string; status: string }> {
  const places = answered(await coach.GET("/api/v1/payout-destinations"), "destinations");
  const airtel = places.mobile_money[0];
  if (!airtel) throw new Error("money can be sent nowhere");
  const method = answered(
    await coach.POST("/api/v1/payout-methods", {
      body: {
        kind: "mobile_money",
        destination: airtel.id,
        account_name: "A Coach",
        account_number: "0990000000",
      },
    }),
    "add a payout method",
  );
  const withdrawal = answered(
    await coach.POST("/api/v1/withdrawals", {
      params: { header: { "Idempotency-Key": "withdraw-1" } },
      body: { credits: "30.00", payout_method: method.id },
    }),
    "withdraw",
  );
  const path = { withdrawal_id: withdrawal.id };
  return until(async () => {
    const now = await coach.GET("/api/v1/withdrawals/{withdrawal_id}", { params: { path } });
    const { net, status } = answered(now, "withdrawal");
    return status === "paid" ? { net, status } : undefined;
  }, "be paid");
}

const coach = await signedIn(required("COACH_EMAIL"), required("COACH_PASSWORD"));
const course = await publish(coach);
const learner = await signedUp(`learner-${Date.now()}@example.com`, "correct horse battery");
const bought = await buy(learner);
const left = await enroll(learner, course);
const refusal = await refusalOfASecondTime(learner, course);
const lines = await statement(learner);
const payout = await withdraw(coach);
const balances = { learner: await balanceOf(learner), coach: await balanceOf(coach) };
console.log(JSON.stringify({ bought, left, refusal, lines, payout, balances }));
