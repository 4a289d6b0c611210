import { Picture } from './tensors';

/** How the shades of an image become numbers. */
export interface Shades {
  /** White is this; black is 0. */
  most: number;
  /** Dark on light becomes light on dark, as handwriting is usually stored. */
  inverted: boolean;
}

/** The numbers of an image in the size and order that the model takes. */
export async function numbersOf(file: Blob, picture: Picture, shades: Shades): Promise<number[]> {
  const { width, height, channels, first } = picture;
  const bitmap = await createImageBitmap(file);
  const canvas = document.createElement('canvas');
  Object.assign(canvas, { width, height });
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) {
    throw new Error('This browser draws no images.');
  }
  context.imageSmoothingQuality = 'high';
  context.fillStyle = 'white'; // what is transparent is paper
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const shade = (pixel: number, channel: number): number => {
    const [red, green, blue] = data.slice(4 * pixel, 4 * pixel + 3);
    const value = channels === 3 ? [red, green, blue][channel] : 0.299 * red + 0.587 * green + 0.114 * blue;
    const share = (shades.inverted ? 255 - value : value) / 255;
    return +(share * shades.most).toFixed(4);
  };
  const pixels = Array.from({ length: width * height }, (_, pixel) => pixel);
  const all = Array.from({ length: channels }, (_, channel) => channel);
  return first
    ? all.flatMap(channel => pixels.map(pixel => shade(pixel, channel)))
    : pixels.flatMap(pixel => all.map(channel => shade(pixel, channel)));
}
