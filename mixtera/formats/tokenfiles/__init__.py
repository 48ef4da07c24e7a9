"""What the formats of token ids share: documents that lie back to back in a file, each token some bytes wide."""
