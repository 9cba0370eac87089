//! RFC 3579: Message-Authenticator, and which credentials may meet.

mod section_3_2;
mod section_3_3;
