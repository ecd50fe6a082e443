/* SPDX-License-Identifier: Apache-2.0 */
/* manifest.json: no bytes crash the reader, and what it takes it writes and reads the same. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "guest/image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	char error[IMAGE_ERROR_SIZE], first[IMAGE_ID_LENGTH + 1], second[IMAGE_ID_LENGTH + 1];
	struct image_manifest m, copy;
	size_t length;
	char *text;

	if (image_manifest_parse(&m, (const char *)bytes, n, error, sizeof(error)) != 0)
		return 0;
	for (int i = 0; i < IMAGE_PARTS; i++)
		assert(m.parts[i].file[0] != '.' && strchr(m.parts[i].file, '/') == NULL);
	image_manifest_id(&m, first);
	text = image_manifest_write(&m, &length);
	/* The writer's text is longer by the optional members, so a huge one may not fit again. */
	if (length <= IMAGE_MANIFEST_MAX) {
		assert(image_manifest_parse(&copy, text, length, error, sizeof(error)) == 0);
		image_manifest_id(&copy, second);
		assert(strcmp(first, second) == 0 && copy.n_packages == m.n_packages);
		image_manifest_clear(&copy);
	}
	free(text);
	image_manifest_clear(&m);
	return 0;
}
