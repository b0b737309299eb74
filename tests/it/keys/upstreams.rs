//! .

use super::keys;

keys! {}
