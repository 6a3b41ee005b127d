// Does what the JSON in the first argument says with AG-UI's client, and prints what came of it.
// {"package", "url", "threadId", "headers", "steps": [{"say"} | {"resume": payload or null} | {"answers"}],
//  "together": true to run the steps at once, each with a client of its own}
const plan = JSON.parse(process.argv[2]);
const { HttpAgent } = require(plan.package);
process.env.SUPPRESS_TRANSFORMATION_WARNINGS = "true";
console.error = () => {};
// A cut connection rejects a promise of the client's own too, which nobody can catch.
process.on("unhandledRejection", () => {});
process.on("uncaughtException", () => {});

const client = () =>
  new HttpAgent({ url: plan.url, threadId: plan.threadId, headers: plan.headers });

async function run(agent, step) {
  const events = [];
  const parameters = {};
  if ("say" in step) {
    agent.addMessage({ id: crypto.randomUUID(), role: "user", content: step.say });
  }
  if ("resume" in step) {
    parameters.resume = agent.pendingInterrupts.map(({ id }) =>
      step.resume === null
        ? { interruptId: id, status: "cancelled" }
        : { interruptId: id, status: "resolved", payload: step.resume });
  }
  if (step.answers) parameters.resume = step.answers;
  const subscriber = {
    onEvent({ event }) {
      events.push(event);
      if (step.abortAt && event.name === step.abortAt) agent.abortRun();
    },
  };
  try {
    const { newMessages, result } = await agent.runAgent(parameters, subscriber);
    return { newMessages, result, events };
  } catch (error) {
    return { error: error.message, status: error.status, payload: error.payload, events };
  }
}

async function main() {
  if (plan.together) return Promise.all(plan.steps.map((step) => run(client(), step)));
  const agent = client();
  const done = [];
  for (const step of plan.steps) done.push(await run(agent, step));
  return done;
}

main().then((done) => console.log(JSON.stringify(done)));
