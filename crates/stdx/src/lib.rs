//! What we miss in std; nothing about databases.
