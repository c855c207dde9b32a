//! Stands in for packages that the bundle leaves out (see build.mjs). Reaching it is a bug.

export default class Absent {
  constructor() {
    throw new Error("left out of the bundle");
  }
}
