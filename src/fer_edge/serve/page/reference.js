// The OpenAPI document, readable.
import { getJson } from "./api.js";
import { find, make, setNotice } from "./dom.js";
import { TEXTS, fillTexts } from "./texts.js";

function typeOf(schema) {
  if (schema.$ref) {
    const name = schema.$ref.split("/").at(-1);
    return make("a", { href: `#${name}` }, name);
  }
  const several = schema.oneOf || schema.anyOf;
  if (several) {
    return make("span", {}, ...several.flatMap((one, i) => (i ? [` ${TEXTS.or} `] : []).concat(typeOf(one))));
  }
  if (schema.enum) return make("span", {}, schema.enum.map((one) => JSON.stringify(one)).join(" | "));
  if (schema.type === "array") return make("span", {}, TEXTS.listOf, " ", typeOf(schema.items));
  if (schema.additionalProperties) {
    return make("span", {}, TEXTS.mapOf, " ", typeOf(schema.additionalProperties));
  }
  return make("span", {}, schema.format || schema.type);
}

function row(name, type, text) {
  return make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, type),
    make("td", { className: "hint" }, text || ""));
}

function contentOf(content) {
  const parts = Object.entries(content).flatMap(([kind, { schema }], i) =>
    (i ? [", "] : []).concat(`${kind}: `, typeOf(schema)));
  return make("span", {}, ...parts);
}

function pathEntry(path, method, operation) {
  const rows = Object.entries(operation.responses).map(([status, { description, content }]) =>
    row(status, contentOf(content), description));
  if (operation.requestBody) {
    const { content, description } = operation.requestBody;
    rows.unshift(row(TEXTS.body, contentOf(content), description));
  }
  return make("li", { className: "card" },
    make("h3", {}, make("code", { className: "method" }, method.toUpperCase()), make("code", {}, path)),
    make("p", {}, operation.summary),
    make("table", {}, make("tbody", {}, ...rows)));
}

function schemaEntry(name, schema) {
  const rows = Object.entries(schema.properties).map(([key, property]) =>
    row(schema.required.includes(key) ? key : TEXTS.optional(key), typeOf(property), property.description));
  return make("li", { className: "card", id: name }, make("h3", {}, make("code", {}, name)),
    make("p", {}, schema.description), make("table", {}, make("tbody", {}, ...rows)));
}

async function start() {
  fillTexts(document);
  let found;
  try {
    found = await getJson("openapi.json");
  } catch (error) {
    setNotice(find("notice"), error.status === 401 ? TEXTS.logInFirst : error.message, true);
    return;
  }
  find("paths").replaceChildren(...Object.entries(found.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => pathEntry(path, method, operation))));
  find("schemas").replaceChildren(
    ...Object.entries(found.components.schemas).map(([name, schema]) => schemaEntry(name, schema)));
}

start();
