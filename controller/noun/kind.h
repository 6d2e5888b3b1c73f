/* The kinds of objects that people name. */
#ifndef MINICLOUD_CONTROLLER_NOUN_KIND_H
#define MINICLOUD_CONTROLLER_NOUN_KIND_H

enum access_kind {
    ACCESS_INSTANCE,
    ACCESS_IMAGE,
    ACCESS_FLAVOR,
    ACCESS_KEY,
    ACCESS_NODE,
    ACCESS_PROJECT,
    ACCESS_TOKEN,
    ACCESS_OPERATION,
    ACCESS_NETWORK,
    ACCESS_PRICE, /* public: without a project */
};

#endif
