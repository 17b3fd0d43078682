export const find = (id) => document.getElementById(id);

// make("li", {className: "face"}, child, "text")
export function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

export function setNotice(node, text, isBad = false) {
  node.hidden = !text;
  node.classList.toggle("bad", isBad);
  if (node.textContent !== text) node.textContent = text;
}
