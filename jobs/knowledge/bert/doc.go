// Package bert embeds texts with a small encoder of the BERT family that is kept in a folder or a zip
// file, as sentence-transformers writes them: config.json, tokenizer.json and model.safetensors. It
// needs no network, no C and no other runtime. all-MiniLM-L6-v2 (22 million parameters, 384
// dimensions, Apache 2.0) is what it was measured with.
package bert
