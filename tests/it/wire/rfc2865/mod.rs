//! RFC 2865: the packet, its attributes, User-Password.

mod section_3;
mod section_5;
mod section_5_2;
