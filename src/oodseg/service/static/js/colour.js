// Colours of objects, as in the package's overlays, and the scale of heat maps.

// Okabe and Ito's palette without black; what stands out from asphalt comes first.
const PALETTE = ["#e69f00", "#56b4e9", "#cc79a7", "#f0e442", "#009e73", "#d55e00", "#0072b2"];
const PALE_INK = new Set(["#0072b2"]);

export const colourOf = (number) => PALETTE[(number - 1) % PALETTE.length];
export const wantsPaleInk = (colour) => PALE_INK.has(colour);

// From dark violet to light yellow; what is low is transparent.
const STOPS = [[59, 15, 112], [140, 41, 129], [222, 73, 104], [254, 159, 109], [252, 253, 191]];

function shade(value) {
  const place = Math.min(Math.max(value, 0), 1) * (STOPS.length - 1);
  const low = Math.min(Math.floor(place), STOPS.length - 2);
  return STOPS[low].map((part, index) => part + (place - low) * (STOPS[low + 1][index] - part));
}

/**
 * Colours a grey picture.
 * low and high are the greys (0..255) of no and full heat.
 */
export function heatMap(bitmap, low, high) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  const table = Array.from({ length: 256 }, (_, grey) => {
    const heat = (grey - low) / (high - low);
    return [...shade(heat), 255 * Math.min(Math.max(1.8 * heat, 0), 1)];
  });
  const { data } = pixels;
  for (let index = 0; index < data.length; index += 4) {
    const [red, green, blue, strength] = table[data[index]];
    data[index] = red;
    data[index + 1] = green;
    data[index + 2] = blue;
    data[index + 3] = strength;
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}
