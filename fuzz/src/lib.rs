pub fn packet(_: &[u8]) {} pub fn user_password(_: &[u8]) {} pub fn state(_: &[u8]) {} pub fn reply(_: &[u8]) {}
