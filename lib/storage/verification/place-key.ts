import { tileOf } from "../../ledger/tiles.ts";
import type { Place } from "../../ledger/verify.ts";
import { HEAD_KEY, isUuid, keys, VERIFIED_KEY } from "../keys.ts";

/** Stands for the head note where a key is asked for: it is a file and has none. */
const NOTE_KEY = Buffer.from("head.note");

/** The key under which the store has what a finding is about. */
export function placeKey(place: Place): Buffer {
  switch (place.at) {
    case "record":
      return keys.record(place.seq);
    case "node":
      return tileKey(place.level, place.index);
    case "id":
      return isUuid(place.id) ? keys.id(place.id) : Buffer.from(`d${place.id}`);
    case "head":
      return HEAD_KEY;
    case "checkpoint":
      return keys.checkpoint(place.size);
    case "file":
      return Buffer.from(place.name);
    case "verified":
      return VERIFIED_KEY;
    default:
      return NOTE_KEY;
  }
}

function tileKey(nodeLevel: number, nodeIndex: number): Buffer {
  const { level, index } = tileOf(nodeLevel, nodeIndex);
  return keys.tile(level, index);
}
