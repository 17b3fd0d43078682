// Of labels, in the model's order: those of annotated images, too.
const PALETTE = [
  "#e4572e", "#76b041", "#8a5fbf", "#f2b134", "#4a7fb5", "#e86fa4", "#8d99a6", "#2a9d8f",
];
export const OTHER = "#c9ced4";
const NEEDS_WHITE = ["#8a5fbf"];
let labels = [];

export function setLabels(names) {
  labels = names;
}

export const allLabels = () => labels;

// Of text on a colour.
export const inkOn = (colour) => (NEEDS_WHITE.includes(colour) ? "#ffffff" : "#000000");

export function colourOf(label) {
  const place = labels.indexOf(label);
  return place < 0 ? OTHER : PALETTE[place % PALETTE.length];
}
