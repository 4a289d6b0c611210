import { Ports } from '../document/ports';

/** Sizes in pixels; style/canvas.css draws the same ones. Given beforehand, nothing has to be measured. */
export const NODE_WIDTH = 208;
export const HEADER = 46;
export const ROW = 20;
export const PADDING = 6;
export const HANDLE = 10;

/** How high a step with these ports is. */
export function heightOf(ports: Ports): number {
  const rows = Math.max(ports.inputs.length, ports.outputs.length);
  return HEADER + (rows ? rows * ROW + 2 * PADDING : 0);
}

/** The middle of a port's row. */
export function portY(index: number): number {
  return HEADER + PADDING + ROW * (index + 0.5);
}
