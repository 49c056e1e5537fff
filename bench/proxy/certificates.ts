import { shell } from './sandbox.ts'

/** A CA and one peer certificate that both ends of a pair use, made by openssl. */
export function createCertificates(folder: string): void {
  shell(`cd ${folder}
    openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out ca.key
    openssl req -x509 -new -key ca.key -out ca.pem -days 30 -subj /CN=bench-ca -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
    openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out peer.key
    openssl req -new -key peer.key -out peer.csr -subj /CN=peer.bench
    printf 'subjectAltName=DNS:peer.bench\\nextendedKeyUsage=serverAuth,clientAuth\\nkeyUsage=critical,digitalSignature\\nbasicConstraints=critical,CA:FALSE\\n' > ext
    openssl x509 -req -in peer.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -out peer.pem -extfile ext
    cat peer.pem ca.pem peer.key > peer-bundle.pem
    echo token > token
    chmod -R a+rX .
  `)
}
