// Beside allauth's WebAuthn scripts: shows the passkey buttons where the browser has passkeys, and says what went wrong.
"use strict";

const TROUBLE = {
  NotAllowedError: "The browser reports that it was cancelled, or took too long. Try again.",
  InvalidStateError: "This device or key is registered here already.",
  SecurityError: "Passkeys work only on the address that Mailhub was set up for. Open it by its own name, not by a number.",
  NotSupportedError: "This device or key does not offer what is needed here. Try another one.",
};

document.addEventListener("DOMContentLoaded", () => {
  if (!window.PublicKeyCredential) return;
  for (const part of document.querySelectorAll(".passkey")) part.hidden = false;
});

document.addEventListener("allauth.error", (event) => {
  const place = document.querySelector(".passkey-trouble");
  if (!place) return;
  event.preventDefault();
  const { name, message } = event.detail.exception;
  place.querySelector("span").textContent = TROUBLE[name] ?? `The passkey could not be used: ${message}`;
  place.hidden = false;
});
