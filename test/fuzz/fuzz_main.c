/* Replays files through a fuzz target where libFuzzer is not at hand:  TARGET FILE... */
#include <stdio.h>
#include <stdlib.h>


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        if (!f || fseek(f, 0, SEEK_END) != 0) {
            fprintf(stderr, "cannot read %s\n", argv[i]);
            return 1;
        }
        long n = ftell(f);
        rewind(f);
        uint8_t *p = malloc(n > 0 ? (size_t)n : 1);
        if (!p || fread(p, 1, (size_t)n, f) != (size_t)n) {
            fprintf(stderr, "cannot read %s\n", argv[i]);
            return 1;
        }
        fclose(f);
        LLVMFuzzerTestOneInput(p, (size_t)n);
        free(p);
    }
    return 0;
}
