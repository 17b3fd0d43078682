// The bars of each face. Rows are kept from frame to frame, so that a screen reader and the keyboard
// keep their place.
import { colourOf } from "./colours.js";
import { make } from "./dom.js";
import { colourOfFace, numberOf, shownEmotion, shownFace } from "./picture.js";
import { TEXTS } from "./texts.js";

export const nameOf = (face, place) => TEXTS.face(numberOf(face, place));

export function makeSwatch(colour) {
  const swatch = make("span", { className: "swatch" });
  swatch.style.background = colour;
  return swatch;
}

export function makeBars(probabilities) {
  const rows = Object.keys(probabilities).map((label) => {
    const fill = make("span", { className: "fill" });
    fill.style.background = colourOf(label);
    const value = make("span", { className: "value" });
    const bar = make("span", { className: "track" }, fill);
    bar.setAttribute("aria-hidden", "true");
    const row = make("li", {}, make("span", { className: "label" }, label), bar, value);
    return { label, fill, value, row };
  });
  const list = make("ul", { className: "bars" }, ...rows.map(({ row }) => row));
  const update = (values) => {
    const best = Math.max(...Object.values(values));
    for (const { label, fill, value, row } of rows) {
      row.classList.toggle("best", values[label] === best);
      fill.style.transform = `scaleX(${values[label]})`;
      value.textContent = TEXTS.percent(values[label]);
    }
  };
  update(probabilities);
  return { list, update };
}

export class FaceList {
  // onSelect(key): the face whose course the chart shows
  constructor(root, onSelect) {
    this.root = root;
    this.onSelect = onSelect;
    this.cards = new Map();
  }

  update(faces, selected) {
    const seen = new Set();
    faces.forEach((face, place) => {
      const key = numberOf(face, place);
      seen.add(key);
      const card = this.cards.get(key) || this.add(key, face, place);
      card.bars.update(shownFace(face).probabilities);
      card.emotion.textContent = shownEmotion(face);
      card.swatch.style.background = colourOfFace(face);
      card.button.setAttribute("aria-pressed", String(key === selected));
    });
    for (const [key, card] of this.cards) {
      if (seen.has(key)) continue;
      card.node.remove();
      this.cards.delete(key);
    }
  }

  add(key, face, place) {
    const name = nameOf(face, place);
    const swatch = make("span", { className: "swatch" });
    const emotion = make("strong");
    const button = make(
      "button",
      { type: "button", className: "face-head", onclick: () => this.onSelect(key) },
      swatch, make("span", { className: "hint" }, name), emotion,
    );
    button.title = TEXTS.showInChart(name);
    const bars = makeBars(shownFace(face).probabilities);
    const node = make("li", { className: "face" }, button, bars.list);
    const card = { node, button, swatch, emotion, bars };
    this.cards.set(key, card);
    this.root.append(node);
    return card;
  }
}
