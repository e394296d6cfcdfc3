"""The bridge between Messages and the hub: it carries texts, it decides nothing about them."""
