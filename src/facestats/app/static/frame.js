// What every page does: `/` goes to the search field, and the browser can be signed out.
import { post } from "./api.js";
import { $ } from "./dom.js";

$("sign-out")?.addEventListener("click", async () => {
  await post("/app/sign-out", {});
  location.assign("/app/sign-in");
});
