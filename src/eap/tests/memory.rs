//! What a conversation costs that was begun and left.

use super::*;
