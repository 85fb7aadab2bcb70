//! pumpfun
