//! defillama
