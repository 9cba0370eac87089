//! Wires the rooms, starts, reloads, drains, stops.
