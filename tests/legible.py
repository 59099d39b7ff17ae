"""What a browser is asked about a page: does text stick out, and can it be read?"""

from __future__ import annotations

# Every piece of text has to lie within the window and within whatever around it cuts off what sticks out.
CLIPPED = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (!node.data.trim()) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const boxes = [{left: 0, right: document.documentElement.clientWidth, top: -1e9, bottom: 1e9}];
    for (let one = node.parentElement; one; one = one.parentElement)
      if (getComputedStyle(one).overflow !== 'visible' && one !== document.body && one !== document.documentElement)
        boxes.push(one.getBoundingClientRect());
    for (const rect of range.getClientRects())
      for (const box of boxes)
        if (rect.left < box.left - 1 || rect.right > box.right + 1 ||
            rect.top < box.top - 1 || rect.bottom > box.bottom + 1)
          found.push(node.data.trim().slice(0, 60));
  }
  return found;
}"""

# The least contrast (WCAG 2) of each kind of text to what is painted behind it.
CONTRAST = """() => {
  const parse = text => {
    const numbers = text.match(/[\\d.]+(e-?\\d+)?/g).map(Number), [r, g, b, a = 1] = numbers;
    return text.startsWith('color(') ? [r * 255, g * 255, b * 255, a] : [r, g, b, a];
  };
  const luminance = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    if (!element) return [255, 255, 255];
    const [r, g, b, a] = parse(getComputedStyle(element).backgroundColor);
    if (a === 1) return [r, g, b];
    const below = behind(element.parentElement);
    return [r, g, b].map((v, i) => v * a + below[i] * (1 - a));
  };
  const found = {}, walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.tagName === 'STYLE') continue;
    const [one, two] = [parse(getComputedStyle(element).color), behind(element)].map(luminance);
    const ratio = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    const around = element.closest('.ln, .card, .cut, header, main, footer');
    const kind = `${element.tagName}.${element.className} in ${around?.className}`;
    found[kind] = Math.min(found[kind] ?? 99, ratio);
  }
  return found;
}"""
