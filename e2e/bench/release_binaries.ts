// Measured is the optimised build, unless BINARIES says otherwise. Imported before whatever reads BINARIES.
import { resolve } from "node:path";

process.env.BINARIES ??= resolve(import.meta.dirname, "../../target/release");
