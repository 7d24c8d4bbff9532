// tsyringe, inside @peculiar/x509, throws at import without it.
import 'reflect-metadata'
import { Crypto as Provider } from '@peculiar/webcrypto'
import { cryptoProvider, Name, Pkcs10CertificateRequestGenerator, X509Certificate } from '@peculiar/x509'

/** The X.509 library with its crypto provider set: one chunk of the built program, loaded by x509.ts alone. */
export const crypto = new Provider()
cryptoProvider.set(crypto)

/** Named one by one, so that the rest of the library is not bundled. */
export const x509 = { Name, Pkcs10CertificateRequestGenerator, X509Certificate }
