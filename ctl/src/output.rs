//! How results are shown. `listing` owns `--format` of lists, `template` the template language, `human` docker's words
//! for sizes and ages, `console` the two output streams.

pub(crate) mod console;
pub(crate) mod human;
pub(crate) mod inspection;
pub(crate) mod listing;
pub(crate) mod order;
pub(crate) mod port;
pub(crate) mod reference;
pub(crate) mod screen;
pub(crate) mod table;
pub(crate) mod template;

pub(crate) use inspection::Inspection;
pub(crate) use listing::{Listing, Row, Style};
