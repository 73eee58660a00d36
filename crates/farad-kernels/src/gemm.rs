//! Integer matrix products.
