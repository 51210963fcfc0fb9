// Requests to this server. What changes something carries the page's token; where the server has
// started anew since, a fresh one is fetched once.

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

let token = document.querySelector("meta[name=csrf-token]")?.content ?? "";

export async function get(path, options = {}) {
  return read(await fetch(path, { headers: { accept: "application/json" }, ...options }));
}

// `body`: an object, which is sent as JSON, or a Blob.
export async function post(path, body, options = {}) {
  try {
    return await send(path, body, options);
  } catch (error) {
    if (error.code !== "stale_page") throw error;
    token = (await get("/app/api/token")).token;
    return send(path, body, options);
  }
}

async function send(path, body, options) {
  const blob = body instanceof Blob;
  const kind = blob ? (body.type.startsWith("image/") ? body.type : "application/octet-stream") : "application/json";
  const headers = { "content-type": kind, "x-csrf-token": token, accept: "application/json" };
  const sent = blob ? body : JSON.stringify(body);
  return read(await fetch(path, { method: "POST", headers, body: sent, ...options }));
}

async function read(answer) {
  let content = null;
  try {
    content = await answer.json();
  } catch {
    if (answer.ok) throw new ApiError(answer.status, "no_json", "the server's answer can't be read");
  }
  if (answer.ok) return content;
  if (answer.status === 401) location.assign(`/app/sign-in?to=${encodeURIComponent(location.pathname + location.search)}`);
  const error = content?.error ?? { code: "http", message: `the server answered ${answer.status}` };
  throw new ApiError(answer.status, error.code, error.message);
}
