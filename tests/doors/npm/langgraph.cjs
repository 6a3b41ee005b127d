// Makes calls of LangGraph's client, as the JSON in the first argument says, and prints what came
// of each. {"url", "key", "steps": [["runs.wait", threadId, ...]], "together": true for all at once}
// "$run" in an argument stands for the run that was made last. A stream is read to its end.
// It says "known" on stderr when the server has told it of a run.
const plan = JSON.parse(process.argv[2]);
const { Client } = require("@langchain/langgraph-sdk");

const client = new Client({ apiUrl: plan.url, apiKey: plan.key ?? null });
let lastRun;

function onRunCreated({ run_id }) {
  lastRun = run_id;
  console.error("known");
}

function named(argument) {
  if (argument === "$run") return lastRun;
  if (argument?.streamMode || argument?.input || argument?.command) {
    return { ...argument, onRunCreated };
  }
  return argument;
}

async function make([call, ...given]) {
  const [part, method] = call.split(".");
  try {
    const result = client[part][method](...given.map(named));
    if (!result[Symbol.asyncIterator]) {
      const value = await result;
      lastRun = value?.run_id ?? lastRun;
      return { value };
    }
    const parts = [];
    for await (const one of result) parts.push(one);
    return { parts };
  } catch (error) {
    return { error: error.message, status: error.status };
  }
}

async function main() {
  if (plan.together) return Promise.all(plan.steps.map(make));
  const done = [];
  for (const step of plan.steps) done.push(await make(step));
  return done;
}

main().then((done) => console.log(JSON.stringify(done)));
